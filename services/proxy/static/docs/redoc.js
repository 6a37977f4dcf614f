// A file of its own, since the page's policy allows no script inside it.
Redoc.init('/schema/openapi.json', { disableSearch: false, hideLoading: true }, document.getElementById('docs'));
