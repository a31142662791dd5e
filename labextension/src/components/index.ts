export type { Actions } from './actions';
export { NewClusterForm } from './form';
export { Logs } from './logs';
export { Sidebar } from './sidebar';
