import { randomBytes } from "node:crypto"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"

/** Makes the home and the folder of `file` in it, and writes `content` to a draft beside `file`, on the disk, with the mode 0600. */
const writeDraft = (home: string, file: string, content: string) =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    // 0711: other users may enter the home but not list it. Started by root, the embedded PostgreSQL below it runs as another user.
    if (!(yield* files.exists(home))) {
      yield* files.makeDirectory(home, { recursive: true })
      yield* files.chmod(home, 0o711)
    }
    yield* files.makeDirectory(path.dirname(file), { recursive: true, mode: 0o700 })
    const draft = `${file}.${randomBytes(6).toString("hex")}`
    yield* files.open(draft, { flag: "wx", mode: 0o600 }).pipe(
      Effect.flatMap((opened) => Effect.zipRight(opened.writeAll(new TextEncoder().encode(content)), opened.sync)),
      Effect.scoped,
      Effect.onError(() => Effect.ignore(files.remove(draft)))
    )
    return draft
  })

/**
 * Makes `file` below `home` with the mode 0600, unless it exists. Processes that start at once agree on one content: each writes a
 * draft of its own, syncs it to the disk, and links it; the first link wins.
 */
export const makeOnce = (home: string, file: string, content: string) =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const draft = yield* writeDraft(home, file, content)
    yield* files.link(draft, file).pipe(
      Effect.catchIf(
        (error) => error._tag === "SystemError" && error.reason === "AlreadyExists",
        () => Effect.void
      ),
      Effect.ensuring(Effect.ignore(files.remove(draft)))
    )
  })

/** Replaces `file` below `home`: a reader, and a start after a crash, finds the content before or this one, each whole. */
export const replaceFile = (home: string, file: string, content: string) =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const draft = yield* writeDraft(home, file, content)
    yield* Effect.onError(files.rename(draft, file), () => Effect.ignore(files.remove(draft)))
  })
