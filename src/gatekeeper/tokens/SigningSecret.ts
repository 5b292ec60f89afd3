import { randomBytes } from "node:crypto"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { Settings } from "../../platform/config/Settings.ts"
import { reasonOf } from "../../platform/os/FileTrust.ts"
import * as PrivateFile from "../../platform/os/PrivateFile.ts"
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

const readOrMake = (file: string): string => {
  PrivateFile.ensureHome(Path.dirname(file))
  const found = PrivateFile.read(file)
  if (found !== undefined) return found.trim()
  PrivateFile.makeOnce(file, `${randomBytes(48).toString("base64url")}\n`)
  return PrivateFile.read(file)?.trim() ?? ""
}

/** `JWT_SECRET_KEY`; outside production without it, a secret of 384 random bits that is made once under `GRAVITAS_HOME`. */
export const signingSecret: Effect.Effect<
  Redacted.Redacted,
  SigningSecretMissing | SigningSecretUnusable,
  Settings | TokenSettings
> = Effect.gen(function* () {
  const { secret: given } = yield* TokenSettings
  if (Option.isSome(given)) return given.value
  const settings = yield* Settings
  if (settings.environment === "production") return yield* new SigningSecretMissing()
  const file = Path.resolve(settings.home, secretFile)
  const secret = yield* Effect.try({
    try: () => readOrMake(file),
    catch: (cause) => new SigningSecretUnusable({ file, problem: reasonOf(cause) })
  })
  if (Buffer.byteLength(secret) < minimumSecretBytes) {
    return yield* new SigningSecretUnusable({ file, problem: `it is shorter than ${minimumSecretBytes} bytes` })
  }
  return Redacted.make(secret)
})
