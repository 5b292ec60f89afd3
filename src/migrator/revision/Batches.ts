// The former path of this module. Applied `.ts` revisions import it, and their checksums forbid an edit.
// biome-ignore-all lint/performance/noBarrelFile: kept for applied revisions
// biome-ignore-all lint/performance/noReExportAll: kept for applied revisions
export * from "../files/Batches.ts"
