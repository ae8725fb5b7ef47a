/** Request heads: wrk's own is two lines; a browser's has 16 fields and about 900 bytes. */
import type { Head } from '../contract.ts';

const browser: Readonly<Record<string, string>> = {
  connection: 'keep-alive',
  'cache-control': 'max-age=0',
  'sec-ch-ua': '"Chromium";v="140", "Not=A?Brand";v="24", "Google Chrome";v="140"',
  'sec-ch-ua-mobile': '?0',
  'sec-ch-ua-platform': '"Linux"',
  'upgrade-insecure-requests': '1',
  'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
  accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8',
  'sec-fetch-site': 'same-origin',
  'sec-fetch-mode': 'navigate',
  'sec-fetch-dest': 'document',
  referer: 'https://shop.example.com/products/list?category=tools&page=3',
  'accept-encoding': 'gzip, deflate, br, zstd',
  'accept-language': 'de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7',
  cookie:
    'session=7d3c9a52e1b04f86a1c0d2e3f4a5b6c7; theme=dark; basket=3; consent=v2%3Aall; _ref=newsletter-2026-05; ab=B',
};

/** The fields besides Host, which is the sixteenth. */
export const headOf = (head: Head): Readonly<Record<string, string>> => (head === 'bare' ? {} : browser);
