import * as Crypto from "node:crypto"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { canonicalJson } from "../../../src/audit/encoding/AuditRow.ts"
import {
  cosignText,
  formatCheckpoint,
  formatVerifierKey,
  makeSigningKey,
  signNote
} from "../../../src/audit/tree/NoteSigning.ts"
import { foldSteps, inclusionSteps } from "../../../src/audit/tree/ProofBuilding.ts"
import { formatProofFile } from "../../../src/audit/tree/ProofFileWriting.ts"
import { RightEdge } from "../../../src/audit/tree/RightEdge.ts"
import { encodeEntry } from "../../../src/audit/tree/verify/LeafEntry.ts"
import { hashLeaf } from "../../../src/audit/tree/verify/MerkleProofs.ts"
import { keyTypes } from "../../../src/audit/tree/verify/SignedNote.ts"
import { auditCommandLine } from "../../support/AuditCommandLine.ts"
import { anEvent, rowsOf } from "../../support/AuditEvents.ts"
import { temporaryHome } from "../../support/TemporaryHome.ts"

const newKey = () => Crypto.generateKeyPairSync("ed25519").privateKey
const log = makeSigningKey("log.example/trails/1", newKey())
const witness = makeSigningKey("witness.example", newKey(), keyTypes.cosignature)
const rows = rowsOf(5, { event: anEvent })

/** A proof of the third of five events, with another event in it if one is given. */
const proofOf = (event = rows[2]) => {
  const edge = new RightEdge()
  const hashes = new Map<string, Uint8Array>()
  for (const { id, leafHash } of rows) {
    const leaf = hashLeaf(encodeEntry({ format: 1, id, digest: leafHash }))
    edge.append(leaf, (level, index, hash) => hashes.set(`${level}/${index}`, hash))
  }
  const text = formatCheckpoint({ origin: log.verifier.name, size: edge.size, root: edge.root() })
  return formatProofFile({
    extra: event === undefined ? undefined : Buffer.from(canonicalJson(event)),
    index: 2,
    proof: foldSteps(
      inclusionSteps(2, edge.size),
      ({ index, level }) => hashes.get(`${level}/${index}`) ?? Buffer.of()
    ),
    checkpoint: Buffer.from(signNote(text, [log]) + cosignText(text, witness, 1_764_561_600))
  })
}

/** The command line in a home without a database that answers. */
const withProof = (bytes: Uint8Array) =>
  Effect.gen(function* () {
    const home = yield* temporaryHome
    const file = Path.join(home, "event.tlog-proof")
    yield* Effect.promise(() => Fs.writeFile(file, bytes))
    const run = auditCommandLine({ url: Redacted.make("postgresql://127.0.0.1:9/none"), home })
    return (...args: ReadonlyArray<string>) => run("trail", "verify-proof", file, ...args)
  })

const key = formatVerifierKey(log.verifier)
const witnessKey = formatVerifierKey(witness.verifier)

it.scopedLive("trail verify-proof accepts a proof without a database, and shows its event", () =>
  Effect.gen(function* () {
    const verify = yield* withProof(proofOf())
    const accepted = yield* verify("--key", key, "--witness", witnessKey, "--json")
    expect(accepted.code).toBe(0)
    expect(JSON.parse(accepted.stdout)).toMatchObject({
      result: { id: rows[2]?.id, index: 2, size: 5, witnesses: [{ name: "witness.example", time: 1_764_561_600 }] }
    })
    expect((yield* verify("--key", key)).stdout).toContain("The event is leaf 2 of log.example/trails/1")
  })
)

it.scopedLive("trail verify-proof refuses another event, another key and a missing witness with 5", () =>
  Effect.gen(function* () {
    const verify = yield* withProof(proofOf())
    const other = makeSigningKey(log.verifier.name, newKey())
    const absent = makeSigningKey("absent.example", newKey(), keyTypes.cosignature)
    const otherEvent = yield* withProof(proofOf(rows[3]))
    expect(yield* otherEvent("--key", key)).toMatchObject({ code: 5 })
    expect(yield* verify("--key", formatVerifierKey(other.verifier))).toMatchObject({ code: 5 })
    expect(yield* verify("--key", "not a key")).toMatchObject({ code: 5 })
    const missing = yield* verify(
      "--key",
      key,
      "--witness",
      witnessKey,
      "--witness",
      formatVerifierKey(absent.verifier)
    )
    expect(missing).toMatchObject({ code: 5 })
    expect(missing.stderr).toContain("1 witnesses signed the checkpoint; 2 are needed")
    const empty = yield* withProof(Buffer.of())
    expect(yield* empty("--key", key)).toMatchObject({ code: 5 })
  })
)
