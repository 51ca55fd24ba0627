/** Makes the adapter of the reference client: an example for an adapter of your own. */

import { AvatarClient, Mode } from "./avatar_client.js";

const rendered = new WeakMap();

/**
 * @param {"virtual" | "real"} [clock]
 * @param {typeof AvatarClient} [Client] a variation of the client
 */
export function referenceAdapter(clock = "virtual", Client = AvatarClient) {
  return {
    name: "spatius-sim reference client (JavaScript)",
    clock,
    modes: Object.values(Mode),
    create({ sampleRate, mode }) {
      const keyframes = [];
      const now = clock === "real" ? () => performance.now() : undefined;
      const onKeyframe = (_index, keyframe) => keyframes.push(keyframe.translation[0]);
      const client = new Client({ sampleRate, mode, now, onKeyframe });
      rendered.set(client, keyframes);
      return client;
    },
    observe(client) {
      const { state, samplesPlayed, stalled } = client;
      return { state, samplesPlayed, stalled, keyframesRendered: rendered.get(client).splice(0) };
    },
  };
}
