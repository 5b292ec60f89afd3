const loopback = /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/i

/** Whether a host is this machine alone. */
export const isLoopback = (host: string): boolean => loopback.test(host)

/** Whether a URL leads over a network without encryption. */
export const isPlainElsewhere = (url: string): boolean => {
  const { hostname, protocol } = new URL(url)
  return protocol === "http:" && !isLoopback(hostname)
}
