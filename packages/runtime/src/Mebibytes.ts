/** Whole ones, so that little is not shown as nothing. */
export const mebibytes = (bytes: number): number => Math.ceil(bytes / 1024 ** 2)
