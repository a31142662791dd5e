/**
 * The icon: a scheduler and its workers.
 */
import { LabIcon } from '@jupyterlab/ui-components';

export const clustersIcon = new LabIcon({
  name: 'dask-k8s:clusters',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161">
    <circle cx="12" cy="5" r="3"/><circle cx="4.500" cy="18.500" r="3"/>
    <circle cx="12" cy="18.500" r="3"/><circle cx="19.500" cy="18.500" r="3"/>
    <path d="M11.300 7h1.400v10h-1.400zM10.100 7.300l1.200.8-5.600 9-1.200-.8zM13.900 7.300l-1.200.8 5.600 9 1.200-.8z"/>
  </g></svg>`
});
