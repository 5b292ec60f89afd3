import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { AuditEvent } from "../../domain/AuditEvent.ts"
import * as PrivateFile from "../../platform/os/PrivateFile.ts"
import { sourceResource } from "../encoding/TrailEvents.ts"
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

/**
 * Returns the sources of journals that older programs left: they gave events numbers before they registered. The list is made once for
 * each directory, by the first start of a program that registers first. A journal that appears later without a source was planted.
 */
export const read = (directory: string) =>
  Effect.gen(function* () {
    const file = fileOf(directory)
    const present = yield* list(directory)
    const text = yield* attempt(file, async () => {
      // The operator adds to it: others may read it, and none may change it.
      const load = () => PrivateFile.read(file, 0o022)
      const found = load()
      if (found !== undefined) return found
      PrivateFile.makeOnce(file, `${JSON.stringify(present.map(({ source }) => source))}\n`)
      return load() ?? "[]"
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
  resource: sourceResource(source),
  ghostId: null,
  shellId: null,
  result: "REPORTED",
  reason: `${events} events come from a journal whose source was not registered: an older program left it`,
  requestId: null,
  facts: { kind: "adoption", source, count: events }
})
