export * from './clusters';
export * from './draft';
export * from './form';
export * from './names';
export * from './quantities';
export * from './wishes';
export * from './words';
