/** What the harness asks of the supervisor and what it hears from it: JSON, one message a line. */
import type { Copy, Owner } from "../postgres/data-directory.ts";

export interface FolderRequest {
  readonly kind: "folder";
  readonly id: number;
  /** Made if it is not there; must be empty. Removed with the lease. */
  readonly folder: string;
  readonly owner?: Owner;
  /** Kept in `fairlead.json`, by which a folder left behind is recognized. */
  readonly marker: RunMarker;
}

export interface RunMarker {
  readonly project: "fairlead";
  /** The process that the run belongs to. */
  readonly pid: number;
  /** ISO 8601. */
  readonly startedAt: string;
}

export interface CopyRequest extends Copy {
  readonly kind: "copy";
  readonly id: number;
}

interface Program {
  readonly id: number;
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Who runs it. Default: whoever the supervisor is. */
  readonly owner?: Owner;
}

export interface ToolRequest extends Program {
  readonly kind: "tool";
  readonly input?: string;
}

export interface ServeRequest extends Program {
  readonly kind: "serve";
  readonly logFile: string;
}

export type Request = FolderRequest | CopyRequest | ToolRequest | ServeRequest;
export type Command<Kind extends Request["kind"]> = Extract<Request, { kind: Kind }>;

export type Report =
  | { readonly kind: "done"; readonly id: number }
  | { readonly kind: "started"; readonly id: number; readonly pid: number }
  | {
      readonly kind: "ended";
      readonly id: number;
      readonly code: number | null;
      readonly signal: string | null;
      readonly output: string;
    }
  | { readonly kind: "failed"; readonly id: number; readonly message: string };
