import { generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Settings } from "../../platform/config/Settings.ts"
import { readKey } from "./KeyMaterial.ts"

/** A key under `GRAVITAS_HOME` cannot be read or made, or is not an Ed25519 key. */
export class KeyFileUnusable extends Schema.TaggedError<KeyFileUnusable>()("KeyFileUnusable", {
  file: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return (
      `the signing key ${this.file} cannot be used: ${this.problem}. Fix it, or move it away (certificates signed with it stop ` +
      "to be valid; the guardian makes a new active.pem where it is missing), or set GUARDIAN_SIGNING_KEY."
    )
  }
}

const directoryName = "guardian-keys"

/** The file of the key that signs; every other `.pem` or `.jwk` in the directory verifies. */
const activeName = "active.pem"

export interface KeysUnderHome {
  readonly active: KeyObject | undefined
  readonly all: ReadonlyArray<KeyObject>
}

/**
 * Reads the keys in `GRAVITAS_HOME/guardian-keys`. With `make`, a missing key that signs is made, with mode 0600. Two processes that
 * start at once agree on one key: the file is written under another name and linked.
 */
export const keysUnderHome = (options: { readonly make: boolean }) =>
  Effect.gen(function* () {
    const { home } = yield* Settings
    const files = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const directory = path.resolve(home, directoryName)
    const activeFile = path.join(directory, activeName)

    const make = Effect.gen(function* () {
      // 0711: other users may enter the home but not list it. Started by root, the embedded PostgreSQL below it runs as another user.
      const parent = path.dirname(directory)
      if (!(yield* files.exists(parent))) {
        yield* files.makeDirectory(parent, { recursive: true })
        yield* files.chmod(parent, 0o711)
      }
      yield* files.makeDirectory(directory, { recursive: true, mode: 0o700 })
      const draft = `${activeFile}.${randomBytes(6).toString("hex")}`
      const { privateKey } = generateKeyPairSync("ed25519")
      const pem = privateKey.export({ format: "pem", type: "pkcs8" }).toString()
      yield* files.open(draft, { flag: "wx", mode: 0o600 }).pipe(
        // Synced to the disk before anything is signed with the key.
        Effect.flatMap((file) => Effect.zipRight(file.writeAll(new TextEncoder().encode(pem)), file.sync)),
        Effect.scoped,
        Effect.zipRight(files.link(draft, activeFile)),
        Effect.catchIf(
          (error) => error._tag === "SystemError" && error.reason === "AlreadyExists",
          () => Effect.void
        ),
        Effect.ensuring(Effect.ignore(files.remove(draft)))
      )
    })

    const read = (file: string) =>
      files.readFileString(file).pipe(
        Effect.mapError((error) => new KeyFileUnusable({ file, problem: error.message })),
        Effect.flatMap((text) => Either.mapLeft(readKey(text), (problem) => new KeyFileUnusable({ file, problem })))
      )

    yield* files.exists(activeFile).pipe(
      Effect.flatMap((there) => (there || !options.make ? Effect.void : make)),
      Effect.mapError((error) => new KeyFileUnusable({ file: activeFile, problem: error.message }))
    )
    const names = yield* files.readDirectory(directory).pipe(
      Effect.catchIf(
        (error) => error._tag === "SystemError" && error.reason === "NotFound",
        () => Effect.succeed([])
      ),
      Effect.mapError((error) => new KeyFileUnusable({ file: directory, problem: error.message }))
    )
    const kept = names.filter((name) => /\.(pem|jwk)$/.test(name)).sort()
    const keys = new Map<string, KeyObject>()
    for (const name of kept) keys.set(name, yield* read(path.join(directory, name)))
    const isOpen = (place: string, bits: number) =>
      Effect.map(Effect.option(files.stat(place)), (info) => Option.isSome(info) && (info.value.mode & bits) !== 0)
    if (kept.length > 0 && (yield* isOpen(directory, 0o022))) {
      yield* Effect.logWarning(`others may put keys into ${directory}, and so certify agents: chmod 700 ${directory}`)
    }
    for (const [name, key] of keys) {
      const file = path.join(directory, name)
      if (key.type === "private" && (yield* isOpen(file, 0o077))) {
        yield* Effect.logWarning(`others may read the private key ${file}, and so certify agents: chmod 600 ${file}`)
      }
    }
    const active = keys.get(activeName)
    if (options.make && active?.type !== "private") {
      return yield* new KeyFileUnusable({ file: activeFile, problem: "it does not hold a private key" })
    }
    const found: KeysUnderHome = { active, all: [...keys.values()] }
    return found
  })
