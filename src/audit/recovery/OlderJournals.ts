import { randomUUID } from "node:crypto"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { AuditEvent } from "../../domain/AuditEvent.ts"
import { receiptResource } from "../encoding/TrailEvents.ts"
import { attempt } from "../journal/JournalFiles.ts"
import { list } from "../journal/OrphanedJournal.ts"

/** No process registered the journal's source, or the source ended before the journal's last event. The journal is kept. */
export class JournalUnregistered extends Schema.TaggedError<JournalUnregistered>()("JournalUnregistered", {
  path: Schema.String,
  reason: Schema.String,
  /** The file that lists journals without a registered source. */
  file: Schema.String
}) {
  override get message(): string {
    return (
      `${this.reason}. Find out who made it; if it is genuine, add ${JSON.stringify(Path.basename(this.path))} to the list ` +
      `in ${this.file}`
    )
  }
}

const Sources = Schema.parseJson(Schema.Array(Schema.String))
const decodeSources = Schema.decodeUnknown(Sources)

/** The file beside a directory of journals that lists those whose source need not be registered. */
export const fileOf = (directory: string): string => `${directory}.unregistered`

const isCode = (cause: unknown, code: string): boolean =>
  cause instanceof Error && "code" in cause && cause.code === code

/** Writes the list, unless another process did first. */
const makeList = async (file: string, sources: ReadonlyArray<string>): Promise<void> => {
  const draft = `${file}.${randomUUID()}`
  try {
    await Fs.writeFile(draft, `${JSON.stringify(sources)}\n`, { flag: "wx", mode: 0o600 })
    await Fs.link(draft, file)
  } catch (cause) {
    if (!isCode(cause, "EEXIST")) throw cause
  } finally {
    await Fs.rm(draft, { force: true })
  }
}

/**
 * Returns the sources of journals that older programs left: they gave events numbers before they registered. The list is made once for
 * each directory, by the first start of a program that registers first. A journal that appears later without a source was planted.
 */
export const read = (directory: string) =>
  Effect.gen(function* () {
    const file = fileOf(directory)
    const present = yield* list(directory)
    const text = yield* attempt(file, async () => {
      const load = () => Fs.readFile(file, "utf8")
      return await load().catch(async (cause: unknown) => {
        if (!isCode(cause, "ENOENT")) throw cause
        await makeList(
          file,
          present.map(({ source }) => source)
        )
        return await load()
      })
    })
    return yield* decodeSources(text)
  }).pipe(
    Effect.catchAll(({ message }) =>
      Effect.as(Effect.logWarning(`Journals of older programs are not adopted: ${message}`), [])
    )
  )

/** Makes the event that marks an adopted journal whose source was never registered. */
export const adoptionOf = (source: string, events: number): AuditEvent => ({
  action: "audit/adoption",
  resource: receiptResource(source),
  ghostId: null,
  shellId: null,
  result: "REPORTED",
  reason: `${events} events come from a journal whose source was not registered: an older program left it`,
  requestId: null,
  metadata: { kind: "adoption", source, count: events }
})
