import { table } from "../Markdown.ts"
import { aimEntries, boundText, isWithin } from "./Aims.ts"
import type { PerformanceReport } from "./PerformanceReport.ts"

const fixed = (value: number | null, digits: number): string =>
  value === null ? "not measured" : value.toFixed(digits)

const whole = (value: number | null): string =>
  value === null ? "not measured" : String(Math.round(value)).replaceAll(/\B(?=(\d{3})+$)/g, " ")

const millis = (microseconds: number | null): string => fixed(microseconds === null ? null : microseconds / 1_000, 2)

const percent = (share: number | null): string => (share === null ? "not measured" : `${Math.round(share * 100)} %`)

/** The rows of the table of aims: what, the figure before, the aim, the figure of this run, and whether it is met. */
export const aimRows = ({
  isBrief,
  ratios
}: Pick<PerformanceReport, "isBrief" | "ratios">): ReadonlyArray<ReadonlyArray<string>> =>
  aimEntries.map(([name, aim]) => {
    const value = ratios[name]
    const unit = aim.unit === undefined ? "" : ` ${aim.unit}`
    return [
      aim.what,
      aim.before ?? "",
      `${boundText(aim)}${unit}`,
      value === null ? "not measured" : `${value.toFixed(2)}${unit}`,
      isBrief ? "not judged" : value !== null && isWithin(aim, value) ? "met" : "**missed**"
    ]
  })

const machineLines = ({ machine, versions }: PerformanceReport): ReadonlyArray<string> =>
  table(
    ["what", "value"],
    [
      ["processor", `${machine.cpu}, ${machine.cores} cores`],
      ["memory", `${machine.memoryGigabytes} GB`],
      ["system", machine.os],
      ["Node", machine.node],
      ["PostgreSQL", `${machine.postgresql}, on the same machine`],
      ...Object.entries(versions).map(([name, version]) => [name, version])
    ]
  )

const lostText = ({ killed }: PerformanceReport["http"]["peers"][number]): string =>
  killed === null ? "keeps none" : `${whole(killed.lost)} of ${whole(killed.answered)}`

const httpLines = ({ http }: PerformanceReport): ReadonlyArray<string> => [
  ...table(
    ["server", "answers/s", "p99", "processor time", `p99 at ${whole(http.requestsPerSecond)}/s`, "generator idle"],
    http.peers.map(({ closed, open, title }) => [
      title,
      whole(closed.perSecond),
      `${millis(closed.microseconds.p99)} ms`,
      `${whole(closed.processorTimePerRequest)} µs`,
      `${millis(open.microseconds.p99)} ms`,
      percent(closed.generatorIdleShare)
    ])
  ),
  "",
  ...table(
    ["server", "answered before the kill", "kept of them", "lost of the answered ones at SIGKILL"],
    http.peers
      .filter(({ kept }) => kept !== null)
      .map((one) => [one.title, whole(one.answered), whole(one.kept), lostText(one)])
  )
]

const journalingLines = ({ journaling }: PerformanceReport): ReadonlyArray<string> => [
  ...table(
    ["what keeps the event", "mean", "p50", "p99", "missing afterwards"],
    journaling.subjects.map(({ mean, microseconds, missing, title }) => [
      title,
      `${fixed(mean, 1)} µs`,
      `${fixed(microseconds.p50, 1)} µs`,
      `${fixed(microseconds.p99, 1)} µs`,
      whole(missing)
    ])
  ),
  ...(journaling.leftOut === null ? [] : ["", "better-sqlite3 was left out: it had no native build on that machine."])
]

const migrationLines = ({ migrations }: PerformanceReport): ReadonlyArray<string> =>
  table(
    ["migrator", "a revision", "ours / theirs"],
    migrations.peers.map(({ milliseconds, ratio, title }) => [
      title,
      `${fixed(milliseconds, 2)} ms`,
      ratio === null ? "" : fixed(ratio, 2)
    ])
  )

const trailLines = ({ trail }: PerformanceReport): ReadonlyArray<string> =>
  table(
    ["trail", "value"],
    [
      [
        "`record` with the journal, p50 / p99",
        `${fixed(trail.recordMicroseconds.p50, 1)} / ${fixed(trail.recordMicroseconds.p99, 1)} µs`
      ],
      ["drain", `${whole(trail.rowsPerSecond.drain)} rows/s`],
      ["COPY beside it", `${whole(trail.rowsPerSecond.copy)} rows/s`],
      [
        `recovery of ${whole(trail.recoveredEvents)} events of a killed process`,
        `${whole(trail.rowsPerSecond.recovery)} rows/s, ${whole(trail.missingAfterRecovery)} missing`
      ],
      ["COPY before and after it", `${whole(trail.rowsPerSecond.copyBesideRecovery)} rows/s`],
      ["processor time that the trail adds to `/validate`", `${whole(trail.addedToRequest)} µs a request`]
    ]
  )

const intro = (report: PerformanceReport): ReadonlyArray<string> => [
  "# Performance",
  "",
  "How fast is it, beside what a team might use instead? This page is generated from [performance.json](performance.json) by",
  "`pnpm write:docs`. `pnpm bench all --json` measured it:",
  `on ${report.date.slice(0, 10)}, commit \`${report.commit.slice(0, 12)}\`${report.isModified ? " with changes that were not committed" : ""}, in ${fixed(report.minutes, 0)} minutes.`,
  ...(report.isBrief
    ? ["", "**It was made with `--brief`: it shows that everything works. Its figures mean nothing.**"]
    : []),
  "",
  "Compare ratios, not absolute figures: all peers run in turns on the same machine, and a ratio is the median over the rounds.",
  "The machine is shared, so absolute figures differ from run to run."
]

/** What profiles showed (`pnpm bench http`, `audit` or `chat` with `--profile`). Shares are of the processor time of one thread. */
const timeLines: ReadonlyArray<string> = [
  "A decision runs on no fiber where its token is known and its answer waits for nothing (modes `memory` and `journal`): fibers were",
  "a fifth of the time. Of what is left, about half is `node:http` and the write to the socket, which the bare server has too. The",
  "event takes about 14 % (a third of it the append to the journal), the decision 11 %, the batches to PostgreSQL 12 %, and the",
  "garbage collector 3 %.",
  "",
  "At a fixed rate a collection of young objects takes 4 to 6 ms with the journal and 2 ms without a trail, once or twice a second.",
  "An append took more than half a millisecond in 8 of 10 000 calls, at most 5.4 ms. Syncs run outside the event loop. Neither explains",
  "all of the slowest answers. These shares and times are of a busy machine, apart from the run above.",
  "",
  "Recovery reads a row in 6.5 µs, of which the hash takes 1.2 µs; its line for COPY takes 1.5 µs.",
  "",
  "A revision takes two round trips (three before), and PostgreSQL's share is the same as with node-pg-migrate. On our side one takes",
  "6.4 ms of processor time where theirs takes 2.0: code of Effect and of the driver that runs too seldom to be compiled well. A start at",
  "head is one session and one query for all services (a session and more queries each before).",
  "",
  "In a chat of 16 streams Effect takes 37 %, Node itself 38 % (a third of it the writes to sockets), our code 13 %, the garbage collector",
  "6 % and the driver 3 %. Calls to a service of the same process run directly, which brought Effect's steps for a chat from 3 983 to 1 858",
  "and its fibers from 54 to 20. What is left is nine events and five queries of the guardian."
]

/** docs/performance.md. */
export const performancePage = (report: PerformanceReport): string => {
  const { connections, generator, rounds } = report.http
  const met = aimRows(report).filter((row) => row.at(-1) === "met").length
  return [
    ...intro(report),
    "",
    "## Aims",
    "",
    `${report.isBrief ? "A brief run judges none of them." : `${met} of ${aimEntries.length} are met.`} *Before* is commit 08767bd, on the same kind of machine.`,
    "",
    ...table(["what", "before", "aim", "here", ""], aimRows(report)),
    "",
    "## Answering",
    "",
    `\`POST /validate\` on ${connections} kept-alive connections, ${rounds === 1 ? "one round" : `${rounds} rounds`}. All verify the same token, decide by the same policy and answer as`,
    "much; the bare servers only parse and answer. Every answer is checked. The processor time is the server's own, without",
    "PostgreSQL's; the writing of its events is in it.",
    `The load generator (${generator}) is a process of its own. Its idle share says how far it is from`,
    `its own limit. At ${whole(report.http.requestsPerSecond)} requests a second, a latency counts from the time at which the request was due.`,
    "",
    ...httpLines(report),
    "",
    "A kill comes in the middle of the load. Then the next process recovers what it can, and the ids of the answers are looked up.",
    "SIGKILL ends the process, not the machine: what a file's cache holds stays.",
    "",
    "## Keeping one event",
    "",
    `${whole(report.journaling.events)} events, in turns in one process. The journal's events also go on to PostgreSQL meanwhile; the others stay where they are.`,
    "",
    ...journalingLines(report),
    "",
    ...trailLines(report),
    "",
    "## Where the time goes",
    "",
    ...timeLines,
    "",
    "## Migrations",
    "",
    `${report.migrations.revisions} revisions, a table and an index each, on a new database.`,
    "",
    ...migrationLines(report),
    "",
    "node-pg-migrate by default and @effect/sql-pg commit once for all revisions. umzug and postgrator commit a revision and its history",
    "one after the other: a crash between them leaves a revision that the history does not name.",
    "",
    "## Chat",
    "",
    `A chat with the model \`echo\` through router, guardian and gatekeeper in one process, ${report.chat.connections} connections: ${fixed(report.chat.perSecond, 0)} a second,`,
    `${millis(report.chat.processorTime)} ms of processor time each.`,
    "",
    "## Machine and versions",
    "",
    ...machineLines(report),
    "",
    "## Repeat it",
    "",
    "```sh no-run: it takes ten minutes",
    "pnpm bench all --json   # writes docs/performance.json",
    "pnpm write:docs         # writes this page",
    "```",
    "",
    "`pnpm bench peers`, `http`, `audit`, `migrate` and `chat` run the parts. `DATABASE_URL` names another PostgreSQL; by default an embedded",
    "one with its durable settings is made for the run. `--brief` shows in a few minutes that everything works.",
    "`pnpm bench chat` streams chats at 1, 16 and 64 streams through the router, beside the provider itself, a pipe by undici and",
    "@portkey-ai/gateway, which it installs below `node_modules/.bench` or leaves out with the reason. That gateway has @hono/node-server",
    "1.13.8 of its own: with the versions from 1.14.4 that were tried it answers no stream.",
    "",
    "```sh no-run: they take minutes",
    "pnpm bench chat                   # first byte and whole answer above the provider's, processor time of a chat",
    "pnpm bench chat --against DIR     # the router of another installed checkout takes part",
    "pnpm bench chat --profile         # where the router's processor time goes",
    "pnpm bench chat --streams 10000   # its memory; exits 1 when it is not flat",
    "```",
    "",
    "better-sqlite3 needs a native build, which an install does not make:",
    "",
    "```sh no-run: it needs a compiler, or a download of a prebuilt binary",
    "npm --prefix node_modules/better-sqlite3 run install",
    "```",
    ""
  ].join("\n")
}
