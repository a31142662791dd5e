export { ClusterRequests, RequestError } from './requests';
export { ClusterStream, type StreamListener } from './stream';
