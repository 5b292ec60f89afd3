import { type ProofFile, proofFileHeader } from "./verify/ProofFile.ts"

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")

/** Writes a proof file (C2SP tlog-proof). */
export const formatProofFile = ({ checkpoint, extra, index, proof }: ProofFile): Buffer => {
  const lines = [proofFileHeader, ...(extra === undefined ? [] : [`extra ${base64(extra)}`]), `index ${index}`]
  return Buffer.concat([Buffer.from(`${[...lines, ...proof.map(base64)].join("\n")}\n\n`), checkpoint])
}
