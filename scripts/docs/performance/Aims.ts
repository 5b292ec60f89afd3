import { toEntries } from "effect/Record"

/** What is asked of a figure. */
export interface Bound {
  readonly atMost?: number
  readonly atLeast?: number
}

interface Aim extends Bound {
  readonly what: string
  /** At commit 08767bd, before the work on speed; null where it was not measured. */
  readonly before: string | null
  readonly unit?: string
}

/** The aims of `pnpm bench all`, by the names of their figures in the report. */
export const aims = {
  nodeToJournal: {
    what: "processor time a request: bare `node:http` / `/validate` with the journal",
    before: "0.06 to 0.10",
    atLeast: 0.25
  },
  routerToJournal: {
    what: "the same: bare @effect/platform router / `/validate` with the journal",
    before: "0.57",
    atLeast: 1.7
  },
  insertToJournal: {
    what: "the same: Fastify with casbin and one INSERT a decision / `/validate` with the journal",
    before: null,
    atLeast: 2
  },
  journalToRouterP99: {
    what: "closed loop, 16 connections, p99: `/validate` with the journal / bare router",
    before: "1.4",
    atMost: 0.6
  },
  trailToRecord: {
    what: "processor time that the trail adds to a request / record and drain of an event alone",
    before: "8",
    atMost: 2
  },
  openP99Added: {
    what: "open loop, 1 000/s, p99: `/validate` with the journal minus without a trail",
    before: null,
    atMost: 2,
    unit: "ms"
  },
  drainToCopy: { what: "drain / COPY of 1 000 rows", before: "0.70", atLeast: 0.85 },
  recoveryToCopy: { what: "recovery of a dead process / COPY of 1 000 rows", before: "0.26", atLeast: 0.6 },
  revisionToNodePgMigrate: {
    what: "a revision / node-pg-migrate with a transaction each",
    before: "2.2",
    atMost: 1.2
  },
  startAtHead: { what: "start at head, three services", before: "21 ms", atMost: 12, unit: "ms" },
  chat: {
    what: "processor time of a chat through router, guardian and gatekeeper in one process",
    before: "27 ms",
    atMost: 2,
    unit: "ms"
  }
} as const satisfies Record<string, Aim>

export type AimName = keyof typeof aims

/** The aims in the order of their table. */
export const aimEntries: ReadonlyArray<readonly [AimName, Aim]> = toEntries(aims)

export const boundText = ({ atLeast, atMost }: Bound): string =>
  atMost === undefined ? `>= ${atLeast}` : `<= ${atMost}`

/** A value that is not a number meets no bound. */
export const isWithin = ({ atLeast = -Infinity, atMost = Infinity }: Bound, value: number): boolean =>
  value <= atMost && value >= atLeast
