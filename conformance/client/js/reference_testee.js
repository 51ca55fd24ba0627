#!/usr/bin/env node
/**
 * Attaches the reference client to the client suite.
 *
 *     spatius-sim verify --client "node conformance/client/js/reference_testee.js"     over stdin and stdout
 *     node conformance/client/js/reference_testee.js ws://127.0.0.1:8720               over a WebSocket (Node 22 or newer)
 *
 * With `--real` the client runs in real time instead of on a virtual clock.
 */

import { referenceAdapter } from "./reference_adapter.js";
import { serveStdio, serveWebSocket } from "./shim.js";

const words = process.argv.slice(2);
const adapter = referenceAdapter(words.includes("--real") ? "real" : "virtual");
const url = words.find((word) => /^wss?:/.test(word));
await (url ? serveWebSocket(adapter, url) : serveStdio(adapter));
