import * as Terminal from "@effect/platform/Terminal"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Record from "effect/Record"
import * as Schedule from "effect/Schedule"
import * as String from "effect/String"

export const isTerminal = (stream: "stdout" | "stderr"): boolean => process[stream].isTTY === true

/** Columns of the terminal that stdout is; without a terminal nothing limits a line. */
export const terminalWidth = (): number => (isTerminal("stdout") ? process.stdout.columns : Number.POSITIVE_INFINITY)

/** https://no-color.org: set, and not empty. */
const refusedByEnvironment = Config.string("NO_COLOR").pipe(
  Config.withDefault(""),
  Config.map((value) => value !== ""),
  Effect.orElseSucceed(() => false)
)

/** Whether stdout gets colours: on a terminal, unless `--no-color` or NO_COLOR says no. */
export const coloursWanted = (noColor: boolean): Effect.Effect<boolean, never, Terminal.Terminal> =>
  Effect.gen(function* () {
    const terminal = yield* Terminal.Terminal
    return !noColor && isTerminal("stdout") && (yield* terminal.isTTY) && !(yield* refusedByEnvironment)
  })

/** Makes foreign text safe for a line on a terminal: what could move the cursor or colour, hide or reverse text becomes `\u{…}`. */
export const visible = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (one) => `\\u{${(one.codePointAt(0) ?? 0).toString(16)}}`)

/** The same for a text of several lines: line ends and tabs stay. */
export const visibleLines = (text: string): string => text.replace(/[^\P{Cc}\n\t]|[\p{Cf}\p{Zl}\p{Zp}]/gu, visible)

const escaped = (one: string): string =>
  Array.from({ length: one.length }, (_, at) => `\\u${one.charCodeAt(at).toString(16).padStart(4, "0")}`).join("")

/** Escapes such characters in the strings of a JSON text; its value stays the same. */
export const visibleJson = (json: string): string => json.replace(/[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Zp}]/gu, escaped)

/** Renames the members of an object as JSON reports have them: `lastSeq` becomes `last_seq`. */
export const snakeCase = <K extends string, A>(members: Readonly<Record<K, A>>): Record<string, A> =>
  Record.mapKeys(members, String.camelToSnake)

/** Rewritten in place, and gone when the work is done. */
const eraseLine = "\r\u001b[2K"

const write = (text: string) => Effect.sync(() => void process.stderr.write(text))

const onTerminal = (line: Effect.Effect<string>) =>
  Effect.flatMap(line, (text) => write(`${eraseLine}${text}`)).pipe(
    Effect.repeat(Schedule.spaced("1 second")),
    Effect.ensuring(write(eraseLine)),
    Effect.delay("1 second")
  )

const inPipe = (line: Effect.Effect<string>) =>
  Effect.flatMap(line, (text) => Effect.logInfo(text)).pipe(
    Effect.repeat(Schedule.spaced("5 seconds")),
    Effect.delay("5 seconds")
  )

/** What runs, and since when (milliseconds of the clock). */
export interface Running {
  readonly what: string
  readonly since: number
}

/** While `effect` lasts, says on stderr what runs and for how long: a line of a terminal, or of the log every five seconds. */
export const withProgressOf = <A, E, R>(
  running: () => Running,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => {
  const line = Effect.map(Clock.currentTimeMillis, (now) => {
    const { since, what } = running()
    return `${what}: running for ${Duration.format(Duration.seconds(Math.round((now - since) / 1_000)))}`
  })
  return Effect.scoped(
    Effect.zipRight(Effect.forkScoped(isTerminal("stderr") ? onTerminal(line) : inPipe(line)), effect)
  )
}

/** As `withProgressOf`, for work of one part. */
export const withProgress = <A, E, R>(what: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Clock.currentTimeMillis, (since) => withProgressOf(() => ({ what, since }), effect))
