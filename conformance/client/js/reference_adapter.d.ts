/** The reference client, behind an adapter: a client to compare with, and an adapter to copy. */

import type { Adapter } from "./shim.js";

export function referenceAdapter(clock?: "virtual" | "real"): Adapter;
