export { clustersPlugin } from './clusters';
export { connectPlugin } from './connect';
export { dashboardPlugin } from './dashboard';
export { logsPlugin } from './logs';
export { newClusterPlugin } from './newcluster';
export { sidebarPlugin } from './sidebar';
