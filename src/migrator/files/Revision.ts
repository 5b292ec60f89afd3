import type * as Duration from "effect/Duration"
import type * as Option from "effect/Option"
import type { ServiceName } from "../../domain/Service.ts"

/** `expand` leaves the previous version of the program working; `contract` takes something away from it. */
export type Phase = "expand" | "contract"

/** One part of a revision's file, from its marker line to the next marker. */
export interface Section {
  /** With the marker line (a comment to PostgreSQL), so that options are part of what is hashed and stored. LF. */
  readonly text: string
  /** Of the marker in its file, from 1. */
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
  /** What the module of a data revision exports: known once it is loaded. */
  | { readonly _tag: "Module" }

/** `sql`: statements. `ts`: a data revision, a module that works over SqlClient (see DataRevision.ts). */
export type RevisionKind = "sql" | "ts"

/** One step of a service's schema, as its file states it. */
export interface Revision {
  readonly service: ServiceName
  /** Counts from 1 without gaps. */
  readonly number: number
  readonly slug: string
  /** For people: the path from the working directory. */
  readonly file: string
  /** For the program: absolute. */
  readonly path: string
  readonly kind: RevisionKind
  readonly phase: Phase
  /** Of a data revision: the whole file, with the options of its `// migrate:up` line; for the way back too. */
  readonly up: Section
  readonly reversal: Reversal
  readonly verify: Option.Option<Section>
}

/** The state before the first revision. */
export const base = "base"

/** `1, "audit_log"` -> `0001_audit_log`; revision 0 is `base`. */
export const revisionName = (number: number, slug: string): string =>
  number === 0 ? base : `${String(number).padStart(4, "0")}_${slug}`
