// In the head, before anything is drawn: the page knows that scripts run.
document.documentElement.classList.add('js');
