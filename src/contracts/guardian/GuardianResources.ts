/** The resources that the policy decides about, as the guardian names them. */

export const certificateResource = (agent: string): string => `certificates/${agent}`

export const sessionResource = (agent: string, sessionId: string): string => `sessions/${agent}/${sessionId}`

export const badgeResource = (ghost: string, badge: string): string => `badges/${ghost}/${badge}`
