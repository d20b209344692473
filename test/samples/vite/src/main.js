const page = document.querySelector("#page")
page.textContent = location.pathname
