// One map of two parameters at a time. All are in the page, so that the medians are made in one place.

const maps = [...document.querySelectorAll('.map')];
const choice = document.getElementById('map-choice');
choice.append(...maps.map((map, i) => element('option', map.dataset.title, { value: i })));
choice.hidden = maps.length < 2;
choice.addEventListener('change', () => maps.forEach((map, i) => (map.hidden = i !== Number(choice.value))));
document.getElementById('map-card').hidden = !maps.length;
