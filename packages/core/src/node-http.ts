/**
 * node:http for those that call it. An `import` of a built-in module reads all that it exports; with node:http (26.10.0)
 * that loads undici for the sake of `http.WebSocket`, which takes 16 MB of each process.
 */
export const http = process.getBuiltinModule('node:http')
