
restore(location.hash);
document.body.dataset.ready = '';
