/** The suite, in the order in which it runs. */
import { allReplicasLost } from "./all-replicas-lost.ts";
import { baseline } from "./baseline.ts";
import { idlePrimary } from "./idle-primary.ts";
import { primaryLost } from "./primary-lost.ts";
import { replayPaused } from "./replay-paused.ts";
import { replicaBlackHole } from "./replica-black-hole.ts";
import { replicaKilled } from "./replica-killed.ts";
import type { Scenario } from "./scenario.ts";

export const scenarios: readonly Scenario[] = [
  baseline,
  replicaKilled,
  replicaBlackHole,
  replayPaused,
  allReplicasLost,
  primaryLost,
  idlePrimary,
];
