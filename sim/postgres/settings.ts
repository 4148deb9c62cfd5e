/**
 * What a server of a test cluster is configured with, as data: a few names to values, and how they are written
 * down. The same for a primary and its replicas, because a promotion makes the one the other.
 */

/** Values as `postgresql.conf` takes them, unquoted. */
export type Settings = Readonly<Record<string, string>>;

export interface ServerSettings {
  /** What the server calls itself: `cluster_name`, and `application_name` towards its primary. */
  readonly node: string;
  /** `server_version_num / 10000`. */
  readonly majorVersion: number;
  readonly listenAddress: string;
  readonly port: number;
  readonly certificateFile: string;
  readonly privateKeyFile: string;
  /** Libraries such as `pg_stat_statements`; empty for none. */
  readonly preload: readonly string[];
}

/** How many bytes a WAL segment has, given to `initdb --wal-segsize` in megabytes: the smallest, to keep folders small. */
export const walSegmentMegabytes = 1;

/**
 * Settings of a server that is thrown away, fast to start and honest under faults.
 * @see https://www.postgresql.org/docs/current/runtime-config.html
 */
export function serverSettings(server: ServerSettings): Settings {
  return {
    cluster_name: server.node,
    listen_addresses: server.listenAddress,
    port: String(server.port),
    // One way in, with a password, for everybody: a socket file would be one more thing to leave behind.
    unix_socket_directories: "",
    max_connections: "100",
    password_encryption: "scram-sha-256",
    ssl: "on",
    ssl_cert_file: server.certificateFile,
    ssl_key_file: server.privateKeyFile,
    shared_preload_libraries: server.preload.join(","),

    ...durability,
    ...replication,
    ...footprint(server.majorVersion),
    ...logging,

    // What initdb would have written, of which nothing may depend on the machine.
    timezone: "UTC",
    datestyle: "iso, mdy",
    lc_messages: "C",
    lc_monetary: "C",
    lc_numeric: "C",
    lc_time: "C",
    default_text_search_config: "pg_catalog.english",
  };
}

const durability: Settings = {
  // A process may be killed here, the machine may not: what was written survives in the page cache.
  fsync: "off",
  // Stays on although fsync is off: SIGKILL can interrupt the kernel between the two 4 kB pages of one 8 kB
  // write, and only a full page in the WAL repairs that. An online base backup needs it as well.
  full_page_writes: "on",
  wal_init_zero: "off",
  min_wal_size: "2MB",
  max_wal_size: "64MB",
  // A replica that never comes back must not fill the disk: its slot is given up first.
  max_slot_wal_keep_size: "1GB",
};

const replication: Settings = {
  wal_level: "replica",
  hot_standby: "on",
  max_wal_senders: "10",
  max_replication_slots: "10",
  // Whole seconds: anything below one second becomes 0, which silently turns the feedback off.
  wal_receiver_status_interval: "1s",
  // 5 s by default, which would be most of what "time to catch up after heal" measures.
  wal_retrieve_retry_interval: "200ms",
  // With the default of 60 s a link that died silently blocks its slot ("already active") for a minute after the
  // link has healed; with a second or two, every black hole would turn into a plain disconnect at once and
  // the state worth testing, `streaming` while nothing arrives, would not last. Ten seconds outlive the budgets
  // of the suite's policy and bound the recovery.
  wal_sender_timeout: "10s",
  wal_receiver_timeout: "10s",
};

function footprint(majorVersion: number): Settings {
  return {
    shared_buffers: "16MB",
    // Files in the data folder: unlike segments under /dev/shm they go when the folder goes, after SIGKILL too.
    dynamic_shared_memory_type: "mmap",
    max_worker_processes: "4",
    max_parallel_workers: "2",
    max_logical_replication_workers: "0",
    autovacuum_max_workers: "1",
    jit: "off",
    // Three I/O worker processes a server are of no use here.
    ...(majorVersion >= 18 ? { io_method: "sync" } : {}),
  };
}

const logging: Settings = {
  logging_collector: "off",
  log_destination: "stderr",
  log_timezone: "UTC",
  log_line_prefix: "%m [%p] %q%a %u@%d ",
  log_replication_commands: "on",
  log_recovery_conflict_waits: "on",
  log_lock_waits: "on",
  // Statements may hold what an application keeps secret.
  log_statement: "none",
};

export interface ReplicaSettings {
  readonly primaryConninfo: string;
  readonly slot: string;
}

/** What a server needs besides, to follow a primary (together with a file `standby.signal`). */
export function replicaSettings(replica: ReplicaSettings): Settings {
  return {
    primary_conninfo: replica.primaryConninfo,
    primary_slot_name: replica.slot,
    recovery_target_timeline: "latest",
  };
}

/** The text of a `postgresql.conf`, one `name = 'value'` a line. */
export function formatSettings(settings: Settings): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`)
    .join("");
}
