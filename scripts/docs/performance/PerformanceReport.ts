import * as Schema from "effect/Schema"
import type { AimName } from "./Aims.ts"

const Figure = Schema.NullOr(Schema.Number)

const Latency = Schema.Struct({ p50: Figure, p99: Figure, p999: Figure })

const HttpPeer = Schema.Struct({
  rival: Schema.String,
  title: Schema.String,
  closed: Schema.Struct({
    perSecond: Figure,
    microseconds: Latency,
    processorTimePerRequest: Figure,
    generatorIdleShare: Figure
  }),
  open: Schema.Struct({ perSecond: Figure, microseconds: Latency, lateness: Latency, generatorIdleShare: Figure }),
  answered: Schema.Number,
  kept: Schema.NullOr(Schema.Number),
  killed: Schema.NullOr(Schema.Struct({ answered: Schema.Number, lost: Schema.Number }))
})

const Journaling = Schema.Struct({
  title: Schema.String,
  mean: Figure,
  microseconds: Latency,
  missing: Schema.Number
})

/** docs/performance.json: what one run of `pnpm bench all --json` measured. A figure is null where a run did not measure it. */
export const PerformanceReport = Schema.Struct({
  /** Of its end, in UTC. */
  date: Schema.String,
  minutes: Schema.Number,
  commit: Schema.String,
  /** The checkout had changes that no commit has. */
  isModified: Schema.Boolean,
  /** Made with `--brief`: it shows that all works, and its figures mean nothing. */
  isBrief: Schema.Boolean,
  machine: Schema.Struct({
    cpu: Schema.String,
    cores: Schema.Number,
    memoryGigabytes: Schema.Number,
    os: Schema.String,
    node: Schema.String,
    postgresql: Schema.String
  }),
  versions: Schema.Record({ key: Schema.String, value: Schema.String }),
  ratios: Schema.Struct({
    nodeToJournal: Figure,
    routerToJournal: Figure,
    insertToJournal: Figure,
    journalToRouterP99: Figure,
    trailToRecord: Figure,
    openP99Added: Figure,
    drainToCopy: Figure,
    recoveryToCopy: Figure,
    revisionToNodePgMigrate: Figure,
    startAtHead: Figure,
    chat: Figure
  } satisfies Record<AimName, typeof Figure>),
  http: Schema.Struct({
    generator: Schema.String,
    rounds: Schema.Number,
    connections: Schema.Number,
    requestsPerSecond: Schema.Number,
    peers: Schema.Array(HttpPeer)
  }),
  journaling: Schema.Struct({
    events: Schema.Number,
    subjects: Schema.Array(Journaling),
    leftOut: Schema.NullOr(Schema.String)
  }),
  migrations: Schema.Struct({
    revisions: Schema.Number,
    peers: Schema.Array(Schema.Struct({ title: Schema.String, milliseconds: Figure, ratio: Figure }))
  }),
  trail: Schema.Struct({
    recordMicroseconds: Latency,
    rowsPerSecond: Schema.Struct({ drain: Figure, copy: Figure, recovery: Figure, copyBesideRecovery: Figure }),
    recoveredEvents: Schema.Number,
    missingAfterRecovery: Schema.Number,
    addedToRequest: Figure
  }),
  chat: Schema.Struct({ connections: Schema.Number, perSecond: Figure, processorTime: Figure })
})
export type PerformanceReport = typeof PerformanceReport.Type

const text = Schema.parseJson(PerformanceReport, { space: 2 })

/** Reads the text of docs/performance.json. Throws where it is not a report. */
export const parseReport = Schema.decodeUnknownSync(text)

/** The text of a report. A figure that is not a number becomes null. */
export const reportText = (report: PerformanceReport): string => `${Schema.encodeSync(text)(report)}\n`
