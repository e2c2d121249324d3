import { registerHooks } from 'node:module'

/** Loaded before a service, this has it write a line when it loads a module of OpenTelemetry. */

let isTold = false

registerHooks({
  resolve(specifier, context, next) {
    if (specifier.startsWith('@opentelemetry/') && !isTold) {
      isTold = true
      process.stdout.write('{"msg":"OpenTelemetry is loaded"}\n')
    }
    return next(specifier, context)
  },
})
