export * from './clusters';
export * from './commands';
export * from './views';
