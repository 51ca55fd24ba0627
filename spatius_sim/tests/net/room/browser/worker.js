// Hands a copy of each encoded frame to the page, and lets the frame pass.
onrtctransform = ({transformer}) => {
  const tap = new TransformStream({
    transform(frame, controller) {
      const copy = frame.data.slice(0);
      postMessage(copy, [copy]);
      controller.enqueue(frame);
    },
  });
  transformer.readable.pipeThrough(tap).pipeTo(transformer.writable);
};
