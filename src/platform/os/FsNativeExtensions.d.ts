/** The part of the package that is used here; it ships no types. */
declare module "fs-native-extensions" {
  /** Acquires an exclusive lock of the operating system on a range of bytes, or returns false. It ends with the descriptor. */
  export const tryLock: (fd: number, offset: number, length: number) => boolean
}
