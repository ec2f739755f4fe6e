
restore(location.hash);
focusable();
document.body.dataset.ready = '';
