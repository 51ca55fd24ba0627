/** The reference client, wrong in the one way that is named: the suite must see it through the shim. */

import { AvatarClient } from "../../../conformance/client/js/avatar_client.js";
import { referenceAdapter } from "../../../conformance/client/js/reference_adapter.js";
import { serveStdio } from "../../../conformance/client/js/shim.js";

const faults = {
  // Every round has the same id.
  "C-ID-NEW": class extends AvatarClient {
    yieldAudioData(audio, end) {
      return super.yieldAudioData(audio, end) && "only";
    }
    getCurrentConversationId() {
      return super.getCurrentConversationId() && "only";
    }
    yieldFramesData(frames, id) {
      super.yieldFramesData(frames, id === "only" ? super.getCurrentConversationId() : id);
    }
  },
  // One id is as good as another.
  "C-MISMATCH": class extends AvatarClient {
    yieldFramesData(frames, id) {
      super.yieldFramesData(frames, frames?.length ? this.getCurrentConversationId() : id);
    }
  },
  // Motion that comes too early is kept for the first round.
  "C-EARLY": class extends AvatarClient {
    #kept = [];
    yieldFramesData(frames, id) {
      if (this.#kept && frames) this.#kept.push(...frames);
      super.yieldFramesData(frames, id);
    }
    yieldAudioData(audio, end) {
      const id = super.yieldAudioData(audio, end);
      if (id && this.#kept?.length) super.yieldFramesData(this.#kept, id);
      if (id) this.#kept = null;
      return id;
    }
  },
  // No motion for anybody is not motion for us.
  "C-EMPTY-MISMATCH": class extends AvatarClient {
    yieldFramesData(frames, id) {
      super.yieldFramesData(frames, frames?.length ? id : this.getCurrentConversationId());
    }
  },
  // Once audio-only, always audio-only.
  "C-EMPTY-SCOPE": class extends AvatarClient {
    #silent = false;
    yieldFramesData(frames, id) {
      this.#silent ||= !frames?.length && id === this.getCurrentConversationId();
      super.yieldFramesData(this.#silent ? [] : frames, id);
    }
  },
  // Motion that cannot be decoded ends the audio too.
  "C-ABNORMAL": class extends AvatarClient {
    constructor(options) {
      super({ ...options, onError: () => this.interrupt() });
    }
  },
};

await serveStdio(referenceAdapter("virtual", faults[process.argv[2]]));
