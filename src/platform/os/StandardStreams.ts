import { Console as NodeConsole } from "node:console"
import { Writable } from "node:stream"
import { format, stripVTControlCharacters } from "node:util"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/**
 * Stdout or stderr. Its reader may go away (EPIPE), its terminal may close (EIO), its disk may be full (ENOSPC). A write that
 * fails is counted and never ends the process, and a later write may succeed.
 */
export interface StandardStream {
  /** Writes, and calls back once the system has accepted or refused the text. */
  readonly write: (text: string, done?: () => void) => void
  /** Writes a log line. While a reader that stopped reading leaves too much in memory, the line is dropped instead. */
  readonly log: (text: string) => void
  /** How many writes were dropped: the system refused them, or too much waited. */
  readonly dropped: () => number
  /** The system's code for the last write, such as `EPIPE`; undefined if the write succeeded. */
  readonly problem: () => string | undefined
}

/** The output of this process. */
export interface StandardStreams {
  readonly stdout: StandardStream
  readonly stderr: StandardStream
}

export const StandardStreams = Context.GenericTag<StandardStreams>("platform/os/StandardStreams")

/** Bytes of log lines that wait for a slow reader, at most. */
const maximumWaiting = 2 ** 20

const codeOf = (error: Error): string => ("code" in error ? String(error.code) : error.message)

export const makeStream = (stream: Writable): StandardStream => {
  let dropped = 0
  let problem: string | undefined
  const drop = (code: string) => {
    dropped += 1
    problem = code
  }
  // Without a listener a failed write ends the process. The callback of each write reports the failure.
  stream.on("error", () => {})
  const write = (text: string, done?: () => void) => {
    stream.write(text, (error) => {
      if (error) drop(codeOf(error))
      else problem = undefined
      done?.()
    })
  }
  return {
    write,
    log: (text) => (stream.writableLength > maximumWaiting ? drop("EAGAIN") : write(text)),
    dropped: () => dropped,
    problem: () => problem
  }
}

const sinkOf = ({ log }: StandardStream) =>
  new Writable({
    decodeStrings: false,
    write: (text, _encoding, done) => {
      log(String(text))
      done()
    }
  })

/** Guards the process's own streams from now on. */
export const openStreams = (): StandardStreams => ({
  stdout: makeStream(process.stdout),
  stderr: makeStream(process.stderr)
})

/** The process's own streams. */
export const layer = Layer.sync(StandardStreams, openStreams)

/**
 * Sends all output of the effect through the streams. `Console.log` and `Console.error` complete when the text is written, so a
 * slow reader gets all of a command's result. Log lines do not wait. Colours are removed where the stream is not a terminal: the
 * command line's help always has them.
 */
export const throughStreams =
  (streams: StandardStreams) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
    const print =
      (name: keyof StandardStreams) =>
      (...values: ReadonlyArray<unknown>) =>
        Effect.async<void>((resume) => {
          const text = `${format(...values)}\n`
          const shown = process[name].isTTY === true ? text : stripVTControlCharacters(text)
          streams[name].write(shown, () => resume(Effect.void))
        })
    const unsafe = new NodeConsole({
      stdout: sinkOf(streams.stdout),
      stderr: sinkOf(streams.stderr),
      colorMode: process.stdout.isTTY === true
    })
    return Console.consoleWith((console) =>
      Console.withConsole(effect, { ...console, log: print("stdout"), error: print("stderr"), unsafe })
    )
  }
