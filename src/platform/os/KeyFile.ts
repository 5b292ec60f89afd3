import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { calculateJwkThumbprint } from "jose"
import { makeOnce } from "./HomeFile.ts"

/** A key in the home cannot be read or made, or others can read or replace it. */
export class KeyFileUnsafe extends Schema.TaggedError<KeyFileUnsafe>()("KeyFileUnsafe", {
  file: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `the key ${this.file} cannot be used: ${this.problem}. Fix it, or move it away so that a new key is made`
  }
}

/** A public Ed25519 key. */
export interface PublicKey {
  /** The key's thumbprint (RFC 7638). */
  readonly id: string
  /** The 32 bytes of the key in base64url, as in a JWK. */
  readonly x: string
}

/** An Ed25519 key of this process. */
export interface PrivateKey extends PublicKey {
  readonly file: string
  readonly key: KeyObject
}

/** Completes 32 bytes of a public key with their thumbprint. */
export const publicKeyOf = (x: string): Effect.Effect<PublicKey> =>
  Effect.map(
    Effect.promise(() => calculateJwkThumbprint({ kty: "OKP", crv: "Ed25519", x })),
    (id) => ({ id, x })
  )

export const keyObjectOf = (x: string): KeyObject =>
  createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" })

const mine = process.geteuid?.()

/** Opens no link, so that the checked file is the one that is read. */
const readOwn = async (file: string): Promise<string> => {
  const folder = await Fs.lstat(Path.dirname(file))
  if (!folder.isDirectory()) throw new Error("its folder is not a directory")
  if (mine !== undefined && folder.uid !== mine) throw new Error("its folder belongs to another user")
  if ((folder.mode & 0o022) !== 0) throw new Error("others may write into its folder; chmod 700 it")
  const opened = await Fs.open(file, Fs.constants.O_RDONLY | Fs.constants.O_NOFOLLOW)
  try {
    const found = await opened.stat()
    if (!found.isFile()) throw new Error("it is not a file")
    if (mine !== undefined && found.uid !== mine) throw new Error("it belongs to another user")
    if ((found.mode & 0o077) !== 0) throw new Error("others may read or write it; chmod 600 it, and replace the key")
    return await opened.readFile("utf8")
  } finally {
    await opened.close()
  }
}

const isCode = (cause: unknown, code: string): boolean =>
  cause instanceof Error && "code" in cause && cause.code === code

const problemOf = (cause: unknown): string => {
  if (isCode(cause, "ELOOP")) return "it is a link"
  return cause instanceof Error ? cause.message : String(cause)
}

const parse = Effect.fnUntraced(function* (file: string, pem: string) {
  const key = yield* Effect.try({
    try: () => createPrivateKey(pem),
    catch: () => new KeyFileUnsafe({ file, problem: "it is not a private key in PEM" })
  })
  if (key.asymmetricKeyType !== "ed25519")
    return yield* new KeyFileUnsafe({ file, problem: "it is not an Ed25519 key" })
  const { x = "" } = createPublicKey(key).export({ format: "jwk" })
  return { ...(yield* publicKeyOf(x)), file, key } satisfies PrivateKey
})

const fileOf = (home: string, name: string): string => Path.join(Path.resolve(home), "service-keys", `${name}.pem`)

/** Reads a key in `home`; undefined where there is none. */
export const read = Effect.fnUntraced(function* (home: string, name: string) {
  const file = fileOf(home, name)
  const pem = yield* Effect.tryPromise({
    try: () =>
      readOwn(file).catch((cause: unknown) => {
        if (isCode(cause, "ENOENT")) return undefined
        throw cause
      }),
    catch: (cause) => new KeyFileUnsafe({ file, problem: problemOf(cause) })
  })
  return pem === undefined ? undefined : yield* parse(file, pem)
})

/** Reads a key in `home`, and makes it with the mode 0600 where it does not exist. */
export const readOrMake = Effect.fnUntraced(function* (home: string, name: string) {
  const found = yield* read(home, name)
  if (found !== undefined) return found
  const file = fileOf(home, name)
  const pem = generateKeyPairSync("ed25519").privateKey.export({ format: "pem", type: "pkcs8" }).toString()
  yield* makeOnce(Path.resolve(home), file, pem).pipe(
    Effect.mapError(({ message }) => new KeyFileUnsafe({ file, problem: message }))
  )
  const made = yield* read(home, name)
  return made ?? (yield* new KeyFileUnsafe({ file, problem: "it disappeared" }))
})
