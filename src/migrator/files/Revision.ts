import type * as Duration from "effect/Duration"
import type * as Option from "effect/Option"
import type { ServiceName } from "../../domain/Service.ts"

/** `expand`: the previous version of the program still works. `contract`: something that it may need is removed. */
export type Phase = "expand" | "contract"

/** A part of a revision's file, from its marker line to the next marker. */
export interface Section {
  /** Includes the marker line, a comment for PostgreSQL, so that options are hashed and stored too. Line ends are LF. */
  readonly text: string
  /** The line of the marker in its file, from 1. */
  readonly line: number
  /** SHA-256 of `text`, hexadecimal. */
  readonly checksum: string
  /** False: its statements run one by one outside a transaction (`create index concurrently`). */
  readonly transaction: boolean
  readonly lockTimeout: Option.Option<Duration.Duration>
  readonly statementTimeout: Option.Option<Duration.Duration>
}

export type Reversal =
  | { readonly _tag: "Down"; readonly section: Section }
  | { readonly _tag: "Irreversible"; readonly reason: string }
  /** What the module of a data revision exports, known once it is loaded. */
  | { readonly _tag: "Module" }

/** `sql`: statements. `ts`: a data revision, a module that works through SqlClient (see DataRevision.ts). */
export type RevisionKind = "sql" | "ts"

/** A version of a service's schema, as its file describes it. */
export interface Revision {
  readonly service: ServiceName
  /** Counts from 1 without gaps. */
  readonly number: number
  readonly slug: string
  /** For messages: the path from the working directory. */
  readonly file: string
  /** The absolute path. */
  readonly path: string
  readonly kind: RevisionKind
  readonly phase: Phase
  /** For a data revision: the whole file, with the options of its `// migrate:up` line, which also hold for its `down`. */
  readonly up: Section
  readonly reversal: Reversal
  readonly verify: Option.Option<Section>
}

/** The down section of an SQL revision; null if it is irreversible or a data revision. */
export const downOf = ({ reversal }: Pick<Revision, "reversal">): Section | null =>
  reversal._tag === "Down" ? reversal.section : null

/** The state before the first revision. */
export const base = "base"

/** `1, "audit_log"` -> `0001_audit_log`; revision 0 is `base`. */
export const revisionName = (number: number, slug: string): string =>
  number === 0 ? base : `${String(number).padStart(4, "0")}_${slug}`
