import * as Fs from "node:fs/promises"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ExitCode } from "../../platform/cli/ExitCode.ts"
import { visible } from "../../platform/cli/TerminalText.ts"
import { rowOf } from "../encoding/CanonicalRow.ts"
import { format2RowOf } from "../encoding/Format2Reading.ts"
import { format2Digest } from "../encoding/Format2Row.ts"
import type { TrustPolicy } from "../tree/verify/Checkpoint.ts"
import { encodeEntry, type LeafEntry } from "../tree/verify/LeafEntry.ts"
import { parseProofFile, verifyProofFile } from "../tree/verify/ProofFile.ts"
import { parseVerifierKey, Refusal } from "../tree/verify/SignedNote.ts"

/** The file is not readable, a key is not valid, or the proof does not hold. */
export class ProofRefused extends Schema.TaggedError<ProofRefused>()("ProofRefused", {
  file: Schema.String,
  reason: Schema.String
}) {
  readonly exitCode = ExitCode.proofRefused
  override get message(): string {
    return `the proof ${this.file} is not accepted: ${this.reason}`
  }
}

/** What a proof file is checked against. */
export interface ProofQuestion {
  readonly file: string
  /** The verifier key of the log. */
  readonly key: string
  /** Verifier keys of witnesses; each of them has to have signed. */
  readonly witnesses: ReadonlyArray<string>
}

/** An event that is proved to be in the tree. */
export interface ProvedEvent {
  /** Canonical JSON. */
  readonly event: string
  readonly id: string
  readonly index: number
  readonly size: number
  readonly origin: string
  /** Names of the witnesses, with the seconds since the epoch of their signatures. */
  readonly witnesses: ReadonlyArray<{ readonly name: string; readonly time: number | null }>
}

/** Larger files are not proofs: an event has at most some hundred kilobytes. */
const maxBytes = 4_194_304

/** Reads at most one byte more than a proof may have. */
const readBounded = async (file: string): Promise<Uint8Array> => {
  const handle = await Fs.open(file, "r")
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(maxBytes + 1), 0, maxBytes + 1, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await handle.close()
  }
}

const policyOf = ({ key, witnesses }: ProofQuestion): TrustPolicy | Refusal => {
  const log = parseVerifierKey(key)
  if (log instanceof Refusal) return log
  const keys = []
  for (const text of new Set(witnesses)) {
    const witness = parseVerifierKey(text)
    if (witness instanceof Refusal) return witness
    keys.push(witness)
  }
  return { log, witnesses: keys, quorum: keys.length }
}

/** The entry that the tree has of an event; undefined when the text is not an event in canonical JSON. */
const entryOf = (event: string): LeafEntry | undefined => {
  const first = rowOf(event)
  if (first !== undefined) return { format: 1, id: first.id, digest: first.leafHash }
  const second = format2RowOf(event)
  return second === undefined ? undefined : { format: 2, id: second.id, digest: format2Digest(second) }
}

const verifyBytes = (bytes: Uint8Array, question: ProofQuestion): ProvedEvent | Refusal => {
  if (bytes.length > maxBytes) return new Refusal(`it has more than ${maxBytes} bytes`)
  const policy = policyOf(question)
  if (policy instanceof Refusal) return policy
  const file = parseProofFile(bytes)
  if (file instanceof Refusal) return file
  const event = Buffer.from(file.extra ?? []).toString("utf8")
  const entry = entryOf(event)
  if (entry === undefined) return new Refusal("its extra line is not an event in canonical JSON (format 1 or 2)")
  const checkpoint = verifyProofFile(file, encodeEntry(entry), policy)
  if (checkpoint instanceof Refusal) return checkpoint
  const { origin, size, witnesses } = checkpoint
  const signed = witnesses.map(({ key, time }) => ({ name: key.name, time: time ?? null }))
  return { event, id: entry.id, index: file.index, size, origin, witnesses: signed }
}

/** Verifies a proof file, with the event in it. Needs neither a database nor a network nor a secret. */
export const verifyProof = (question: ProofQuestion): Effect.Effect<ProvedEvent, ProofRefused> =>
  Effect.tryPromise({
    try: () => readBounded(question.file),
    catch: (cause) => (cause instanceof Error ? cause.message : String(cause))
  }).pipe(
    Effect.flatMap((bytes) => {
      const proved = verifyBytes(bytes, question)
      return proved instanceof Refusal ? Effect.fail(proved.reason) : Effect.succeed(proved)
    }),
    Effect.mapError((reason) => new ProofRefused({ file: question.file, reason }))
  )

/** Renders what the proof shows. */
export const renderProof = ({ event, index, origin, size, witnesses }: ProvedEvent): string => {
  const signers = witnesses.map(({ name }) => visible(name)).join(", ")
  return [
    `The event is leaf ${index} of ${visible(origin)}, in the checkpoint of size ${size}.`,
    signers === "" ? "No witness was asked for." : `Cosigned by ${signers}.`,
    visible(event)
  ].join("\n")
}
