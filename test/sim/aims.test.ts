import { describe } from 'vitest';
import { runEach } from './planted.ts';

describe('schedules that aim at one situation', () => runEach());
