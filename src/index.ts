/** The router library's public API. */
export { createRouter, Router, Session } from "./router.ts";
export type { Query, RouterEvents, RouterOptions, RouterStatus } from "./router.ts";
export { RouterError } from "./errors.ts";
export type { RouterErrorCode } from "./errors.ts";
export type { RouterConfig } from "./config/config.ts";
export type { ConfigInput } from "./config/input.ts";
export { loadConfig, parseConfig } from "./config/load.ts";
export { configJsonSchema } from "./config/json-schema.ts";
export { ConfigError } from "./config/config-error.ts";
export { budgets } from "./config/budgets.ts";
export type { Budgets } from "./config/budgets.ts";
export type { Explanation } from "./routing/explain.ts";
export type { Change, EvictionReason } from "./routing/model.ts";
export type { PgModule } from "./pg-module.ts";
export type { DecisionMessage } from "./channels.ts";
export type { IsolationLevel, Transaction, TransactionOptions } from "./transaction.ts";
export type { Logger } from "./runtime/logger.ts";
