const now = document.querySelector("#now")
now.dateTime = new Date().toISOString()
now.textContent = new Date().toLocaleTimeString()
