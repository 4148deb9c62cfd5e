/** The suite, in the order in which it runs. */
import { allReplicasLost } from "./all-replicas-lost.ts";
import { baseline } from "./baseline.ts";
import { bootWithDeadReplica } from "./boot-with-dead-replica.ts";
import { ddlUnderLoad } from "./ddl-under-load.ts";
import { idlePrimary } from "./idle-primary.ts";
import { poolExhausted } from "./pool-exhausted.ts";
import { postmasterFrozen } from "./postmaster-frozen.ts";
import { primaryFrozen } from "./primary-frozen.ts";
import { primaryLost } from "./primary-lost.ts";
import { recoveryConflict } from "./recovery-conflict.ts";
import { replayPaused } from "./replay-paused.ts";
import { replicaBlackHole } from "./replica-black-hole.ts";
import { archiveOnlyReplica, cascadingReplica } from "./replica-fed.ts";
import { replicaFlapping } from "./replica-flapping.ts";
import { replicaFrozen } from "./replica-frozen.ts";
import { replicaKilled } from "./replica-killed.ts";
import { replicaPromoted } from "./replica-promoted.ts";
import { replicaRefused } from "./replica-refused.ts";
import { replicaReset } from "./replica-reset.ts";
import { replicaTrickle } from "./replica-trickle.ts";
import { replicationCut } from "./replication-cut.ts";
import { replicationFeedbackSlow } from "./replication-feedback-slow.ts";
import { replicationSlow } from "./replication-slow.ts";
import { routerCutOff } from "./router-cut-off.ts";
import type { Scenario } from "./scenario.ts";
import { serverFull } from "./server-full.ts";
import { storm } from "./storm.ts";
import { synBlackHole } from "./syn-black-hole.ts";

export const scenarios: readonly Scenario[] = [
  baseline,
  replicaKilled,
  replicaBlackHole,
  replayPaused,
  allReplicasLost,
  primaryLost,
  idlePrimary,
  recoveryConflict,
  replicaPromoted,
  serverFull,
  poolExhausted,
  ddlUnderLoad,
  cascadingReplica,
  archiveOnlyReplica,
  storm,
  replicaFrozen,
  replicaRefused,
  replicaReset,
  replicaTrickle,
  replicaFlapping,
  synBlackHole,
  postmasterFrozen,
  replicationCut,
  replicationSlow,
  replicationFeedbackSlow,
  primaryFrozen,
  routerCutOff,
  bootWithDeadReplica,
];
