import { Cluster } from 'ioredis'

type Handling = Parameters<Cluster['handleError']>

/**
 * A Cluster that tells at once when the keys of a command are on two nodes, since their slot is half moved. ioredis 6.0.0
 * asks any other node then, is sent back, and so on; after a second it tells that as MOVED.
 */
export class PromptCluster extends Cluster {
  override handleError(...[error, ttl, handlers]: Handling): void {
    if (error.message.startsWith('TRYAGAIN')) handlers.defaults()
    else super.handleError(error, ttl, handlers)
  }
}
