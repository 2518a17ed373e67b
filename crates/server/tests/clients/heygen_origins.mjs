// Leads what a client of HeyGen's fetches to the server of a test; preloaded, so that the client stays as it was
// published. It knows the vendor's two hosts as constants, and has no setting for them.

const origin = process.env.HEYGEN_TEST_ORIGIN;
const vendors = ["https://api.heygen.com", "https://upload.heygen.com"];
const fetch = globalThis.fetch;

globalThis.fetch = (input, options) => {
  const url = new URL(input instanceof Request ? input.url : input);
  if (!vendors.includes(url.origin)) {
    throw new Error(`nothing else is to be fetched: ${url.origin}`);
  }
  const here = origin + url.pathname + url.search;
  return fetch(input instanceof Request ? new Request(here, input) : here, options);
};
