// The parts of the page are compressed; the developer tools show them as they were written.
(async () => {
  const bytes = Uint8Array.from(atob(document.getElementById('parts').textContent), c => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  const [style, script, data] = await new Response(stream).json();
  for (const [tag, attributes, textContent] of [
    ['style', {}, style], ['script', {type: 'application/json', id: 'data'}, data], ['script', {}, script],
  ]) document.head.append(Object.assign(document.createElement(tag), attributes, {textContent}));
})();
