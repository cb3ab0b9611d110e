import { mergeConfig } from 'vitest/config';
import config from './vitest.config.js';

/** Tests in a virtual machine: `npm run test:vm`. They need qemu-system-x86, busybox-static, cpio and apt's index, and are no part of `npm test`. */
export default mergeConfig({ ...config, test: { ...config.test, include: [] } }, { test: { include: ['packages/*/test/vm/*.vm.ts'] } });
