import { randomBytes } from "node:crypto"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { Settings } from "../../platform/config/Settings.ts"
import { makeOnce } from "../../platform/os/HomeFile.ts"
import { minimumSecretBytes, TokenSettings } from "./TokenSettings.ts"

/** In production no secret is made up: it would differ from one instance to the next and vanish with the disk. */
export class SigningSecretMissing extends Schema.TaggedError<SigningSecretMissing>()("SigningSecretMissing", {}) {
  override get message(): string {
    return (
      "JWT_SECRET_KEY is not set, and with NODE_ENV=production none is made up. " +
      'Set it to the secret that signs your tokens, or make one: JWT_SECRET_KEY="$(openssl rand -base64 48)"'
    )
  }
}

/** The generated secret under `GRAVITAS_HOME` cannot be read, is too short, or cannot be made. */
export class SigningSecretUnusable extends Schema.TaggedError<SigningSecretUnusable>()("SigningSecretUnusable", {
  file: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `the signing secret ${this.file} cannot be used: ${this.problem}. Remove the file to have a new one made (tokens signed with it stop to be valid), or set JWT_SECRET_KEY.`
  }
}

const secretFile = "jwt-secret"

/** `JWT_SECRET_KEY`; outside production without it, a secret of 384 random bits that is made once under `GRAVITAS_HOME`. */
export const signingSecret: Effect.Effect<
  Redacted.Redacted,
  SigningSecretMissing | SigningSecretUnusable,
  Settings | TokenSettings | FileSystem.FileSystem | Path.Path
> = Effect.gen(function* () {
  const { secret: given } = yield* TokenSettings
  if (Option.isSome(given)) return given.value
  const settings = yield* Settings
  if (settings.environment === "production") return yield* new SigningSecretMissing()
  const files = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const file = path.resolve(settings.home, secretFile)
  const read = Effect.map(files.readFileString(file), (text) => text.trim())
  const make = Effect.suspend(() => makeOnce(path.dirname(file), file, `${randomBytes(48).toString("base64url")}\n`))
  const secret = yield* read.pipe(
    Effect.catchIf(
      (error) => error._tag === "SystemError" && error.reason === "NotFound",
      () => Effect.zipRight(make, read)
    ),
    Effect.mapError((error) => new SigningSecretUnusable({ file, problem: error.message }))
  )
  if (Buffer.byteLength(secret) < minimumSecretBytes) {
    return yield* new SigningSecretUnusable({ file, problem: `it is shorter than ${minimumSecretBytes} bytes` })
  }
  return Redacted.make(secret)
})
