/** Motion payloads for tests, written byte by byte. */

export function varint(value) {
  const bytes = [];
  for (; value > 0x7f; value = Math.floor(value / 128)) bytes.push((value % 128) | 0x80);
  return [...bytes, value];
}

export const tag = (field, wireType) => varint(field * 8 + wireType);
export const number = (field, value) => [...tag(field, 0), ...varint(value)];
export const chunk = (field, bytes) => [...tag(field, 2), ...varint(bytes.length), ...bytes];
export const text = (field, string) => chunk(field, [...new TextEncoder().encode(string)]);
export const floats = (field, values) => chunk(field, [...new Uint8Array(Float32Array.from(values).buffer)]);

/** One keyframe, told by its translation[0]. */
export const flame = (name) => chunk(1, floats(1, [name, 0, 0]));

export function response(names, { end = false, reqId = "r", extra = [] } = {}) {
  const animation = chunk(4, names.flatMap(flame));
  return [...text(1, "connection"), ...text(2, reqId), ...(end ? number(3, 1) : []), ...animation, ...extra];
}

export function payload(names, options = {}) {
  return Uint8Array.from([...number(1, 5), ...chunk(6, response(names, options)), ...(options.around ?? [])]);
}

/** `count` names from `first` on. */
export const names = (first, count) => Array.from({ length: count }, (_, index) => first + index);
