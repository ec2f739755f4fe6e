
restore();
document.body.dataset.ready = '';
